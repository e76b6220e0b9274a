import { useState } from "preact/hooks";
import { BlockedTab } from "./blocked-tab.js";
import { Charts } from "./charts.js";
import type { LivePage } from "./live-page.js";
import { LockDrawer } from "./lock-drawer.js";
import { LockGrid } from "./lock-grid.js";
import { Notices } from "./notices.js";
import { PrefixFilter } from "./prefix-filter.js";
import { TopLine } from "./top-line.js";

const tabs = ["locks", "blocked"] as const;
const titles = { locks: "Locks", blocked: "Blocked" };

/** The whole page. It is given the same page each time that something has changed. */
export function App({ page }: { readonly page: LivePage }) {
  const [tab, setTab] = useState<(typeof tabs)[number]>("locks");
  const { queue } = page;
  return (
    <div class={page.isStale ? "app stale" : "app"}>
      <header>
        <h1>metasrv</h1>
        <TopLine page={page} />
      </header>
      <Notices page={page} />
      <Charts history={page.history} />
      <nav>
        <div role="tablist" aria-label="What is shown">
          {tabs.map((name) => (
            <button
              key={name}
              id={`tab-${name}`}
              role="tab"
              type="button"
              aria-selected={tab === name}
              aria-controls="tab-content"
              onClick={() => {
                setTab(name);
              }}
            >
              {titles[name]}
            </button>
          ))}
        </div>
        <PrefixFilter
          changed={(prefix) => {
            page.show(prefix);
          }}
        />
      </nav>
      <main>
        <div id="tab-content" role="tabpanel" aria-labelledby={`tab-${tab}`}>
          {tab === "locks" ? <LockGrid page={page} /> : <BlockedTab key={page.prefix} page={page} />}
        </div>
        {queue && <LockDrawer key={queue.name.key} page={page} queue={queue} />}
      </main>
    </div>
  );
}
