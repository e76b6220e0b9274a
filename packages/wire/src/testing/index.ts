export { fallBacks } from "../decode.js";
export { ManualClock, settled } from "./manual-clock.js";
