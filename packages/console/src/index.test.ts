import { describe, expect, test } from "@jest/globals";
import ts from "typescript";
import { readConsole } from "./index.js";

const { files, policy } = await readConsole();
const text = (path: string) => files.find((file) => file.path === path)?.body.toString("utf8") ?? "";
const scripts = files.filter(({ contentType }) => contentType.startsWith("text/javascript"));
const { map = "" } = /<script type="importmap">(?<map>[^]*?)<\/script>/.exec(text(""))?.groups ?? {};
const { imports } = JSON.parse(map) as { imports: Record<string, string> };

describe("the files of the page", () => {
  test("are there", () => {
    expect(scripts.length).toBeGreaterThan(15);
    expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining(["", "console.css", "page/main.js"]));
  });

  test.each(scripts.map((script) => [script.path, script] as const))(
    "%s imports only what is served",
    (path, script) => {
      const served = new Set(files.map((file) => file.path));
      const base = new URL(path, "http://console/");
      for (const { fileName: name } of ts.preProcessFile(script.body.toString("utf8")).importedFiles) {
        const url = new URL(imports[name] ?? name, name.startsWith(".") ? base : "http://console/");
        expect(served).toContain(url.pathname.slice(1));
      }
    },
  );

  test("have nothing that the policy forbids: no inline script, style or handler, and nothing from elsewhere", () => {
    const html = text("");
    const own = html.replace(map, "");
    expect(own).not.toMatch(/<style|\sstyle=|\son\w+=|https?:|<script(?![^>]*\ssrc=)(?![^>]*importmap)/);
    expect(text("console.css")).not.toMatch(/url\(|@import/);
    expect(policy).toMatch(/^default-src 'self'; script-src 'self' 'sha256-[\w+/]+=*';/);
    expect(policy).not.toContain("unsafe");
  });
});
