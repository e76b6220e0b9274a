import preset from "../jest.preset.js";

export default { ...preset, displayName: "tests", testTimeout: 30_000 };
