import { expect, test } from "@jest/globals";
import { ConnectionUse } from "../api/connection-use.js";
import { ByteMeter } from "./byte-meter.js";

const mebibyte = 1024 * 1024;

function start() {
  const socket = { bytesRead: 0, bytesWritten: 0 };
  const use = new ConnectionUse();
  return { socket, use, meter: new ByteMeter(socket, use) };
}

test("4 MiB that serve nothing may come at once, and no more", () => {
  const { socket, meter } = start();
  socket.bytesRead = 4 * mebibyte;
  expect(meter.exceeded(0)).toBe(false);
  socket.bytesRead++;
  expect(meter.exceeded(0)).toBe(true);
});

test("256 KiB a second that serve nothing may come for ever, and no more", () => {
  const { socket, meter } = start();
  for (let second = 0; second < 100; second++) {
    socket.bytesRead += mebibyte / 4;
    expect(meter.exceeded(1_000)).toBe(false);
  }
  socket.bytesRead += 4 * mebibyte + 1;
  expect(meter.exceeded(0)).toBe(true);
});

test("silence earns no more than 4 MiB", () => {
  const { socket, meter } = start();
  expect(meter.exceeded(3_600_000)).toBe(false);
  socket.bytesRead = 4 * mebibyte + 1;
  expect(meter.exceeded(0)).toBe(true);
});

test("what calls and sessions got is no flood, and four times what was sent", () => {
  const { socket, use, meter } = start();
  for (let round = 0; round < 100; round++) {
    // A part of a message in a frame of its own.
    socket.bytesRead += 10 * mebibyte + 9;
    use.brought(10 * mebibyte);
    expect(meter.exceeded(0)).toBe(false);
    socket.bytesRead += 40 * mebibyte;
    socket.bytesWritten += 10 * mebibyte;
    expect(meter.exceeded(0)).toBe(false);
  }
});
