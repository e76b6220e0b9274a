import type { SessionCommand } from "@metasrv/proto/metasrv/v1";

/** An unlock that names its lock by a number releases the lock that was asked for last. */
export function unlocksTheLatest(): (command: SessionCommand) => SessionCommand {
  let latest = 0;
  return (asked) => {
    const { command } = asked;
    if (command.case === "lock") {
      latest = asked.number;
    } else if (command.case === "unlock" && command.value.lock !== 0) {
      return { ...asked, command: { case: "unlock", value: { ...command.value, lock: latest } } };
    }
    return asked;
  };
}
