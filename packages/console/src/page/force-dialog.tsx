import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api.js";
import { shownDuration } from "./durations.js";
import type { TicketMessage } from "./inspect-messages.js";
import { shownText } from "./lock-name.js";
import type { LockQueue } from "./lock-queue.js";

/** Longest reason and actor that a server takes, in bytes. It says so itself if a text of so many characters has more. */
const mostLength = 256;

interface ForceDialogProps {
  readonly queue: LockQueue;
  /** What is to be released, as it was when the dialog was opened. */
  readonly ticket: TicketMessage;
  readonly isStale: boolean;
  readonly closed: () => void;
}

/**
 * Releases one ticket by force. It wants a reason, and the name of the lock typed. Whether it has done what was wanted is not
 * assumed of the answer, but seen in the stream.
 */
export function ForceDialog({ queue, ticket, isStale, closed }: ForceDialogProps) {
  const { token = "0", owner = "", holds = false } = ticket;
  const [typed, setTyped] = useState("");
  const [reason, setReason] = useState("");
  const [actor, setActor] = useState("");
  const [asked, setAsked] = useState<"no" | "under way" | "answered">("no");
  const [problem, setProblem] = useState("");
  const [openedAtMs] = useState(() => performance.now());
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  const now = queue.tickets.find((each) => each.token === token);
  const isGone = now === undefined;
  const isNamed = typed === queue.name.shown || (queue.name.wire.name !== undefined && typed === queue.name.wire.name);
  const isReasoned = reason.trim() !== "";
  const mayAsk = isNamed && isReasoned && !isStale && !isGone && asked === "no";
  const ageMs = Number(ticket.ageMs ?? "0") + performance.now() - openedAtMs;

  const ask = async () => {
    setAsked("under way");
    setProblem("");
    try {
      await queue.force(token, { reason: reason.trim(), actor: actor.trim() });
      setAsked("answered");
    } catch (error) {
      setAsked("no");
      setProblem(error instanceof ApiError ? error.message : String(error));
    }
  };

  return (
    <dialog ref={dialog} aria-labelledby="force-title" onClose={closed}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (mayAsk) {
            void ask();
          }
        }}
      >
        <h2 id="force-title">Release by force</h2>
        <dl>
          <dt>Lock</dt>
          <dd class="name">{queue.name.shown}</dd>
          <dt>{holds ? "Holder" : "Waiter"}</dt>
          <dd>{owner === "" ? "(no owner given)" : shownText(owner)}</dd>
          <dt>There for</dt>
          <dd>{shownDuration(ageMs)}</dd>
          <dt>Token</dt>
          <dd>{token}</dd>
        </dl>
        <p>
          {holds
            ? "The holder is told, and may be at work: only what checks fencing tokens refuses what it still writes."
            : "The waiter is told, and its request ends."}
        </p>
        <label>
          Reason
          <TextField value={reason} changed={setReason} mostLength={mostLength} />
        </label>
        <label>
          Who you are (may be left out)
          <TextField value={actor} changed={setActor} mostLength={mostLength} />
        </label>
        <label>
          The lock&apos;s name, to be sure
          <TextField value={typed} changed={setTyped} describedBy="force-name" />
        </label>
        <p id="force-name" class="hint">
          {typed !== "" && !isNamed && "That is not the name of this lock."}
        </p>
        <p role="status" class={problem === "" ? "result" : "result bad"}>
          {outcome({ isGone, isStale, asked, problem })}
        </p>
        <div class="choices">
          <button type="submit" class="danger" disabled={!mayAsk}>
            Release by force
          </button>
          <button type="button" onClick={() => dialog.current?.close()}>
            {asked === "answered" ? "Close" : "Leave it"}
          </button>
        </div>
      </form>
    </dialog>
  );
}

interface Outcome {
  readonly isGone: boolean;
  readonly isStale: boolean;
  readonly asked: "no" | "under way" | "answered";
  readonly problem: string;
}

function outcome({ isGone, isStale, asked, problem }: Outcome): string {
  if (problem !== "") {
    return `It was not released: ${shownText(problem)}`;
  }
  if (asked === "answered" && !isStale) {
    return isGone
      ? "Released: the stream shows that it is gone."
      : "The server has done it. The stream does not show it yet.";
  }
  if (isStale) {
    return "What is shown is stale. Wait until the stream is back.";
  }
  if (asked === "under way") {
    return "Asked. There is no answer yet.";
  }
  return isGone ? "It has gone by itself meanwhile. There is nothing to release." : "";
}

interface TextFieldProps {
  readonly value: string;
  readonly changed: (value: string) => void;
  readonly mostLength?: number;
  readonly describedBy?: string;
}

function TextField({ value, changed, mostLength, describedBy }: TextFieldProps) {
  return (
    <input
      type="text"
      autocomplete="off"
      spellcheck={false}
      {...(mostLength !== undefined && { maxLength: mostLength })}
      value={value}
      {...(describedBy !== undefined && { "aria-describedby": describedBy })}
      onInput={({ currentTarget }) => {
        changed(currentTarget.value);
      }}
    />
  );
}
