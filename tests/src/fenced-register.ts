import { setImmediate as turn } from "node:timers/promises";

/**
 * A resource that a lock guards. It notes every write whose fencing token is not above those of all earlier writes, and
 * every write that comes while another is under way. Either means that a lock was granted twice.
 */
export class FencedRegister {
  readonly violations: string[] = [];
  writes = 0;
  #lastToken = 0n;
  #writing = false;

  async write(token: bigint): Promise<void> {
    if (token <= this.#lastToken) {
      this.violations.push(`token ${token} came after ${this.#lastToken}`);
    }
    if (this.#writing) {
      this.violations.push(`token ${token} came during a write`);
    }
    this.#lastToken = token;
    this.#writing = true;
    await turn();
    await turn();
    this.#writing = false;
    this.writes++;
  }
}
