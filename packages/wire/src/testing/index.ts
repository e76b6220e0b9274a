export { fallBacks } from "../field-reader.js";
export { ManualClock, settled } from "./manual-clock.js";
