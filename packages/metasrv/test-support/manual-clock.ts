export { ManualClock, settled } from "@metasrv/wire/testing";
