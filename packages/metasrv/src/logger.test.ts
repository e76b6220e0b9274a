import { readdir, readFile } from "node:fs/promises";
import { describe, expect, jest, test } from "@jest/globals";
import ts from "typescript";
import { createLogger, repeatedEveryMs, repeatedMessages } from "./logger.js";

const levels = ["trace", "debug", "info", "warn", "error", "fatal"];

interface Line {
  readonly level: string;
  /** Undefined where it is no plain text. */
  readonly message: string | undefined;
}

/** What is logged in a file: the calls of methods that are named as a level, of something that is called a logger. */
function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  const visit = (node: ts.Node) => {
    if (
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      levels.includes(node.expression.name.text) &&
      /[lL]ogger$/.test(node.expression.expression.getText())
    ) {
      const message = node.arguments.at(-1);
      const isText = message !== undefined && ts.isStringLiteralLike(message);
      lines.push({ level: node.expression.name.text, message: isText ? message.text : undefined });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("a.ts", text, ts.ScriptTarget.Latest, true));
  return lines;
}

async function allLines(): Promise<Line[]> {
  const files = await readdir(new URL(".", import.meta.url), { recursive: true });
  const own = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  const texts = await Promise.all(own.map((file) => readFile(new URL(file, import.meta.url), "utf8")));
  return texts.flatMap(linesOf);
}

function logged(level: string, format: "json" | "pretty") {
  const lines: string[] = [];
  const logger = createLogger({ level, format, output: { write: (line) => lines.push(line) } });
  return { lines, logger };
}

describe("docs/logs.md", () => {
  test("has every line that is logged, with its level and whether it repeats, and no other", async () => {
    const text = await readFile(new URL("../../../docs/logs.md", import.meta.url), "utf8");
    const documented = [...text.matchAll(/^\| (\w+) +\| `([^`]+)`( ⟳)? +\|/gmu)].map(
      ([, level, message, repeats]) => `${level} ${message} ${repeats !== undefined}`,
    );
    const inCode = (await allLines()).map(
      ({ level, message }) => `${level} ${message} ${repeatedMessages.has(message)}`,
    );
    expect(inCode.length).toBeGreaterThan(40);
    expect(documented.sort()).toEqual([...new Set(inCode)].sort());
  });
});

describe("the log", () => {
  test("writes what repeats once, and then with the number of those left out", () => {
    const { lines, logger } = logged("info", "json");
    const now = jest.spyOn(performance, "now").mockReturnValue(0);
    try {
      const message = "a connection could not be accepted";
      for (let n = 0; n < 5; n++) {
        logger.error({ err: new Error(`no ${n}`) }, message);
        logger.info("listening");
      }
      now.mockReturnValue(repeatedEveryMs);
      logger.error({ err: new Error("no 5") }, message);
      const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(parsed.filter(({ msg }) => msg === "listening")).toHaveLength(5);
      expect(parsed.filter(({ msg }) => msg === message)).toMatchObject([
        { err: { message: "no 0" }, level: 50 },
        { err: { message: "no 5" }, level: 50, repeated: 4 },
      ]);
    } finally {
      now.mockRestore();
    }
  });

  test("is for people in the format pretty", () => {
    const { lines, logger } = logged("info", "pretty");
    logger.info({ address: "127.0.0.1:3002", lock: "a b", sessions: 3 }, "listening");
    logger.warn({ err: new TypeError("broken") }, "watch failed");
    logger.debug("not shown");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {2}listening address=127\.0\.0\.1:3002 lock="a b" sessions=3\n$/,
    );
    expect(lines[1]).toMatch(/Z WARN {2}watch failed\n {4}TypeError: broken\n {4} +at /);
  });

  test("does not control the terminal on which people read it", () => {
    const { lines, logger } = logged("info", "pretty");
    logger.info({ owner: "\u009b2J\u202eroot" }, "lock expired");
    logger.warn({ err: new Error("broken\u001b[2J") }, "watch failed");
    expect(lines[0]).toMatch(/ owner="\\u009b2J\\u202eroot"\n$/);
    expect(lines[1]).toMatch(/Error: broken\\u001b\[2J\n {4} +at /);
  });
});
