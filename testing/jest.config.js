import preset from "../jest.preset.js";

export default { ...preset, displayName: "testing", testTimeout: 30_000 };
