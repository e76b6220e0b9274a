import type { SessionCommand, SessionRequest } from "@metasrv/proto/metasrv/v1";

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

/** Each request for a lock is sent a second time, under a new number. */
export function repeatsRequests(request: SessionRequest): SessionRequest {
  const again = request.commands.filter(({ command }) => command.case === "lock");
  const commands = [...request.commands, ...again.map((asked) => ({ ...asked, number: asked.number ^ (2 ** 30) }))];
  return { ...request, commands };
}

/** A lock that was granted after its request was withdrawn is not given back. */
export function keepsWhatCrossed(request: SessionRequest): SessionRequest {
  const commands = request.commands.filter(({ command }) => command.case !== "unlock" || command.value.lock !== 0);
  return { ...request, commands };
}
