// Run before the tests, so that no test has to wait for a download.
import { findOrInstall } from "./tools.js";

console.log(`etcd: ${await findOrInstall("etcd")}`);
