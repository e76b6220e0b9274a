import { Command, CommanderError } from "commander";
import { setTimeout as sleep } from "node:timers/promises";
import { type Logger, pino } from "pino";
import { configFrom, flagOf, type StartOptions, startOptions } from "./cli-options.js";
import { ConfigError } from "./config.js";
import { type RunningServer, startServer } from "./server.js";
import { version } from "./version.js";

/** Exit code when the server could not start or had to be stopped by force. */
const failed = 1;

/** How long the last of the log may take to be written, in milliseconds. */
const writtenWithinMs = 500;

/** How much of the log may wait to be written, in bytes: what is logged while its reader is stuck beyond that is lost. */
const maxUnwrittenLog = 4 * 1024 * 1024;

/** Exit code when the command line or the configuration cannot be used. */
const misused = 2;

/**
 * Runs the command line. Returns once the server serves, or once all is done; in the first case the process ends when it
 * is told to by SIGTERM or SIGINT.
 *
 * @param argv - as in `process.argv`
 */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has told already.
      process.exitCode = error.exitCode === 0 ? 0 : misused;
    } else {
      throw error;
    }
  }
}

function createProgram(): Command {
  const program = new Command("metasrv")
    .description("A lock server: gRPC, Connect and HTTP/JSON over etcd or memory.")
    .version(version)
    .exitOverride()
    .showHelpAfterError("See 'metasrv --help'.");
  const start = program
    .command("start")
    .description("Start a server. Every option can also be given by the environment variable named beside it.")
    .showHelpAfterError("See 'metasrv start --help'.")
    .helpOption("-h, --help", "display help for command")
    .action(serve);
  for (const option of startOptions()) {
    start.addOption(option);
  }
  return program;
}

async function serve({ logLevel, ...options }: StartOptions & { readonly logLevel: string }): Promise<void> {
  const output = pino.destination({ dest: process.stdout.fd, maxLength: maxUnwrittenLog });
  const logger = pino({ level: logLevel }, output);
  const exit = exitOnceWritten(output);
  let server: RunningServer | undefined;
  stopOnSignals({ logger, exit, stop: () => server?.stop() });
  try {
    server = await startServer(configFrom(options), { logger });
  } catch (error) {
    logger.debug({ err: error }, "could not start");
    if (error instanceof ConfigError) {
      process.stderr.write(`error: ${flagOf(error.setting)}: ${error.problem}\nSee 'metasrv start --help'.\n`);
      await exit(misused);
    }
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
    await exit(failed);
  }
}

/** Ends this process, with the exit code that comes first. */
type Exit = (code: number) => Promise<never>;

/**
 * Exits when the log is written, or nobody reads it any more. What is left to pino's own flush at exit, it tries to write
 * for ever.
 */
function exitOnceWritten(output: ReturnType<typeof pino.destination>): Exit {
  const over = new Promise<void>((resolve) => {
    output.on("close", resolve);
    output.on("error", () => {
      resolve();
    });
  });
  const exit: Exit = async (code) => {
    output.end();
    await Promise.race([over, sleep(writtenWithinMs)]);
    output.destroy();
    process.exit(code);
  };
  let exiting: Promise<never> | undefined;
  return (code) => (exiting ??= exit(code));
}

/** The first signal stops the server, which takes less than five seconds; a second one does not wait for that. */
function stopOnSignals({
  logger,
  exit,
  stop,
}: {
  readonly logger: Logger;
  readonly exit: Exit;
  readonly stop: () => Promise<void> | undefined;
}): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) {
      void exit(failed);
      return;
    }
    stopping = true;
    logger.info({ signal }, "told to stop");
    void (async () => {
      try {
        await stop();
      } catch (error) {
        logger.error({ err: error }, "could not stop cleanly");
        await exit(failed);
      }
      await exit(0);
    })();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}
