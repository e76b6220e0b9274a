import preset from "../jest.preset.js";

// These tests wait more than they compute, for processes, etcd and TTLs. Each file ends with leakCheck, which finds what it
// leaves open where a worker process would hide that.
export default { ...preset, displayName: "tests", maxWorkers: 2 };
