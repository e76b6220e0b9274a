/**
 * What the jest projects of all workspaces share: TypeScript as native ES modules, compiled by swc.
 * It needs `NODE_OPTIONS=--experimental-vm-modules`, which every workspace's `test` script sets.
 */
export default {
  testEnvironment: "node",
  testMatch: ["**/*.test.ts"],
  modulePathIgnorePatterns: ["<rootDir>/dist/"],
  extensionsToTreatAsEsm: [".ts"],
  // Sources import "./x.js", as Node will see it; the file beside them is x.ts.
  moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": ["$1.ts", "$1.js"] },
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      {
        swcrc: false,
        jsc: { target: "es2022", parser: { syntax: "typescript" } },
        module: { type: "es6" },
      },
    ],
  },
  testTimeout: 60_000,
  // One process a workspace: what a test file leaves open keeps jest from ending, where a worker would be ended by
  // force and the leak overlooked. Nx runs the workspaces side by side.
  maxWorkers: 1,
};
