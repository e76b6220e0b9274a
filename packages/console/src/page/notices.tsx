import { useState } from "preact/hooks";
import { shownDuration } from "./durations.js";
import type { LivePage } from "./live-page.js";
import { mostLocks } from "./lock-board.js";
import { shownText } from "./lock-name.js";

/** What keeps the page from being what it should be. */
export function Notices({ page }: { readonly page: LivePage }) {
  const { ageMs, problem, readiness, board } = page;
  return (
    <div class="notices" role="status">
      {page.wantsToken && <TokenForm page={page} />}
      {page.isStale && (
        <p class="notice bad" id="stale">
          {ageMs === undefined
            ? "Nothing has come from the server yet."
            : `This is what was ${shownDuration(ageMs)} ago.`}
          {problem && ` The stream is broken: ${shownText(problem.message)}. It is opened again.`}
        </p>
      )}
      {readiness?.problems.map((text) => (
        <p class="notice bad" key={text}>
          The server is not ready: {shownText(text)}
        </p>
      ))}
      {board.hasMore && (
        <p class="notice">
          There are more than {mostLocks.toLocaleString("en")} locks, and not all of them are shown. Say what their
          names begin with.
        </p>
      )}
    </div>
  );
}

/** Asks for a token. It is kept in the memory of this page only. */
function TokenForm({ page }: { readonly page: LivePage }) {
  const [token, setToken] = useState("");
  return (
    <form
      class="notice token"
      onSubmit={(event) => {
        event.preventDefault();
        page.useToken(token.trim());
        setToken("");
      }}
    >
      <label>
        This server wants to know who asks. Token:
        <input
          type="password"
          autocomplete="off"
          required
          value={token}
          onInput={({ currentTarget }) => {
            setToken(currentTarget.value);
          }}
        />
      </label>
      <button type="submit">Use it</button>
      <span>It is kept until this page is closed or loaded again, and nowhere else.</span>
    </form>
  );
}
