import preset from "../jest.preset.js";

export default { ...preset, displayName: "faults", testTimeout: 120_000 };
