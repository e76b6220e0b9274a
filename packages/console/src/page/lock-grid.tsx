import { useEffect, useRef, useState } from "preact/hooks";
import { shownDuration } from "./durations.js";
import type { LivePage } from "./live-page.js";
import type { Family, HolderRow, LockRow } from "./lock-board.js";
import { shownText } from "./lock-name.js";

/** Height of a row in pixels, as console.css has it. */
const rowPx = 32;
/** Rows drawn above and below those that can be seen. */
const spare = 8;

type GridRow = { readonly family: Family } | { readonly lock: LockRow };

/** All locks by their families. Only the rows that can be seen are in the document. */
export function LockGrid({ page }: { readonly page: LivePage }) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const [scrolledPx, setScrolledPx] = useState(0);
  const [heightPx, setHeightPx] = useState(600);
  const [activeKey, setActiveKey] = useState("");
  const grid = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = grid.current;
    if (element === null) {
      return;
    }
    const size = new ResizeObserver(() => {
      setHeightPx(element.clientHeight);
    });
    size.observe(element);
    return () => {
      size.disconnect();
    };
  }, []);

  const rows: GridRow[] = page.board
    .families()
    .flatMap((family) => [{ family }, ...(folded.has(family.name) ? [] : family.locks.map((lock) => ({ lock })))]);
  const first = Math.max(0, Math.floor(scrolledPx / rowPx) - spare);
  const end = Math.min(rows.length, Math.ceil((scrolledPx + heightPx) / rowPx) + spare);
  const nowMs = performance.now();

  const toggle = (name: string) => {
    const changed = new Set(folded);
    if (!changed.delete(name)) {
      changed.add(name);
    }
    setFolded(changed);
  };
  const open = (row: GridRow | undefined) => {
    if (row === undefined) {
      return;
    }
    setActiveKey(keyOf(row));
    if ("family" in row) {
      toggle(row.family.name);
    } else {
      page.select(row.lock.name);
    }
  };
  const move = (at: number) => {
    const to = Math.min(Math.max(at, 0), rows.length - 1);
    const row = rows[to];
    const element = grid.current;
    if (row !== undefined && element !== null) {
      setActiveKey(keyOf(row));
      const head = rowPx;
      const least = (to + 1) * rowPx + head - element.clientHeight;
      element.scrollTop = Math.min(Math.max(element.scrollTop, least), to * rowPx);
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = rows.findIndex((row) => keyOf(row) === activeKey);
    const leap = Math.max(1, Math.floor(heightPx / rowPx) - 2);
    const moves: Partial<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + leap,
      PageUp: at - leap,
      Home: 0,
      End: rows.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) {
      event.preventDefault();
      move(to);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(rows[at]);
    }
  };

  return (
    <div
      class="grid"
      id="locks"
      ref={grid}
      role="grid"
      tabIndex={0}
      aria-label="Locks by family, longest wait first"
      aria-rowcount={rows.length + 1}
      aria-activedescendant={rows.slice(first, end).some((row) => keyOf(row) === activeKey) ? "active-row" : undefined}
      onScroll={({ currentTarget }) => {
        setScrolledPx(currentTarget.scrollTop);
      }}
      onKeyDown={onKeyDown}
    >
      <div class="row head" role="row" aria-rowindex={1}>
        {["Lock", "Kind", "Held by", "Since", "Waiting", "Longest wait"].map((title) => (
          <span role="columnheader" key={title}>
            {title}
          </span>
        ))}
      </div>
      <div class="rows" role="presentation" style={{ height: `${rows.length * rowPx}px` }}>
        <div role="presentation" style={{ transform: `translateY(${first * rowPx}px)` }}>
          {rows.slice(first, end).map((row, at) => {
            const key = keyOf(row);
            const isActive = key === activeKey;
            const isShown = "lock" in row && row.lock.name.key === page.queue?.name.key;
            return (
              <div
                key={key}
                class={`row ${"family" in row ? "family" : "lock"}${isActive ? " active" : ""}`}
                {...(isActive && { id: "active-row" })}
                role="row"
                aria-rowindex={first + at + 2}
                aria-selected={isShown}
                {...("family" in row && { "aria-expanded": !folded.has(row.family.name) })}
                onClick={() => {
                  open(row);
                }}
              >
                {"family" in row ? (
                  <FamilyCells family={row.family} isFolded={folded.has(row.family.name)} nowMs={nowMs} />
                ) : (
                  <LockCells lock={row.lock} nowMs={nowMs} />
                )}
              </div>
            );
          })}
        </div>
      </div>
      {rows.length === 0 && page.board.isComplete && <p class="empty">Nobody holds a lock here or waits for one.</p>}
    </div>
  );
}

function FamilyCells({ family, isFolded, nowMs }: { family: Family; isFolded: boolean; nowMs: number }) {
  const { name, locks, waiters, waitingSinceMs } = family;
  return (
    <>
      <span role="gridcell">
        {isFolded ? "▸ " : "▾ "}
        {name === "" ? "(no family)" : name}
      </span>
      <span role="gridcell" />
      <span role="gridcell">{locks.length === 1 ? "1 lock" : `${locks.length} locks`}</span>
      <span role="gridcell" />
      <span role="gridcell">{waiters === 0 ? "" : waiters}</span>
      <span role="gridcell">{waiters === 0 ? "" : shownDuration(nowMs - waitingSinceMs)}</span>
    </>
  );
}

function LockCells({ lock, nowMs }: { lock: LockRow; nowMs: number }) {
  const { name, kind, holders, holderCount, waiters, waitingSinceMs } = lock;
  const [first] = holders;
  return (
    <>
      <span role="gridcell" title={name.shown}>
        {name.shown}
      </span>
      <span role="gridcell">{kind}</span>
      <span role="gridcell">
        {first && shownHolder(first)}
        {holderCount > 1 && ` and ${holderCount - 1} more`}
      </span>
      <span role="gridcell">{first && shownDuration(nowMs - first.sinceMs)}</span>
      <span role="gridcell">{waiters === 0 ? "" : waiters}</span>
      <span role="gridcell">{waiters === 0 ? "" : shownDuration(nowMs - waitingSinceMs)}</span>
    </>
  );
}

function shownHolder({ owner, token, reserves }: HolderRow): string {
  const who = owner === "" ? `token ${token}` : shownText(owner);
  return reserves ? `kept for ${who}` : who;
}

function keyOf(row: GridRow): string {
  return "family" in row ? `family ${row.family.name}` : row.lock.name.key;
}
