// A hostile client: `node main.js FLOOD HOST PORT`. It is a process of its own, so that it takes nobody with it when Node, which
// was not made for this, aborts it. It prints what it saw as one line of JSON.
import { callFloods } from "./call-floods.js";
import { connectionFloods } from "./connection-floods.js";
import { frameFloods } from "./frame-floods.js";

const [name = "", host = "", port = ""] = process.argv.slice(2);
const floods = { ...frameFloods, ...callFloods, ...connectionFloods };
const flood = floods[name];
if (flood === undefined) {
  throw new Error(`there is no flood ${JSON.stringify(name)}, but ${Object.keys(floods).join("; ")}`);
}
console.log(JSON.stringify(await flood({ host, port: Number(port) })));
process.exit();
