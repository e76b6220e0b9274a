import { readFileSync, statSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { MetaClient } from "@metasrv/meta-client";
import { type Command, Option } from "commander";
import { exitCodes, ExitError } from "./exit-codes.js";
import { messageOf } from "./message-of.js";
import { Output } from "./output.js";
import { type Reach, readProfile } from "./profiles.js";

/** What commander reads of the options that every command has. */
export interface GlobalFlags extends Reach {
  readonly profile?: string | undefined;
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
}

const defaultEndpoint = "http://127.0.0.1:3002";

/** The options that every command has. They may stand before the command's name, too. */
export function addGlobalOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--endpoints <urls>", `servers, separated by commas (default: ${defaultEndpoint})`).argParser(listOf),
    )
    .option("--ca <file>", "PEM file of the authorities that certificates of servers are checked by")
    .option("--cert <file>", "PEM file of the certificate to show to servers")
    .option("--key <file>", "PEM file of that certificate's key")
    .option("--token-file <file>", "file with the token that says who this is; read again whenever it is needed")
    .option("--insecure-token", "send the token to servers on other machines without TLS, too")
    .option("--profile <name>", "profile of ~/.config/metasrv/cli.yaml")
    .option("--json", "one JSON object a line instead of text")
    .option("-q, --quiet", "say nothing but errors")
    .option("-v, --verbose", "say more");
}

/** How a command reaches its servers, from the command line, else the environment, else the profile. */
export function completeReach(flags: GlobalFlags, env: NodeJS.ProcessEnv): Reach {
  const { XDG_CONFIG_HOME: configHome = "" } = env;
  const folder = configHome === "" ? join(homedir(), ".config") : configHome;
  const profile = readProfile(join(folder, "metasrv", "cli.yaml"), flags.profile ?? given(env.METASRV_PROFILE));
  const endpoints = given(env.METASRV_ENDPOINTS);
  return {
    endpoints: flags.endpoints ?? (endpoints === undefined ? undefined : listOf(endpoints)) ?? profile.endpoints,
    ca: flags.ca ?? given(env.METASRV_CA) ?? profile.ca,
    cert: flags.cert ?? given(env.METASRV_CERT) ?? profile.cert,
    key: flags.key ?? given(env.METASRV_KEY) ?? profile.key,
    tokenFile: flags.tokenFile ?? given(env.METASRV_TOKEN_FILE) ?? profile.tokenFile,
    insecureToken: flags.insecureToken,
  };
}

/**
 * Makes the client of a command. Does no I/O but reading files.
 *
 * @param warn - is told of settings that endanger a secret
 * @throws ExitError (78) for a bad setting
 */
export function openClient(
  { endpoints = [defaultEndpoint], tokenFile, insecureToken, ...files }: Reach,
  warn: (text: string) => void,
): MetaClient {
  const { ca, cert, key } = files;
  const tls = {
    ...(ca === undefined ? {} : { ca: readPem("--ca", ca) }),
    ...(cert === undefined ? {} : { cert: readPem("--cert", cert) }),
    ...(key === undefined ? {} : { key: readPem("--key", key) }),
  };
  const token = tokenFile === undefined ? undefined : openToken(tokenFile, warn);
  try {
    return new MetaClient({
      endpoints,
      owner: ownerText(),
      tls: Object.keys(tls).length === 0 ? undefined : tls,
      token,
      allowInsecureToken: insecureToken,
    });
  } catch (error) {
    throw new ExitError(exitCodes.config, messageOf(error), { cause: error });
  }
}

/** By what people recognise this process when it holds a lock. */
export function ownerText(): string {
  return `${hostname()}:${process.pid}`;
}

/** Where a command writes. */
export function openOutput({ json, quiet, verbose }: GlobalFlags, env: NodeJS.ProcessEnv): Output {
  const { stdout, stderr } = process;
  return new Output({ stdout, stderr, env, json: json === true, quiet: quiet === true, verbose: verbose === true });
}

function readSetting(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ExitError(exitCodes.config, `${flag}: the file cannot be read: ${problem}`, { cause: error });
  }
}

function readPem(flag: string, file: string): string {
  const text = readSetting(flag, file);
  if (!text.includes("-----BEGIN ")) {
    throw new ExitError(exitCodes.config, `${flag}: ${file} is no PEM file, which has a line "-----BEGIN …"`);
  }
  return text;
}

/** Looks once at the file, so that one that is of no use is said at once. @returns reads the token that is there now */
function openToken(file: string, warn: (text: string) => void): () => string {
  const read = (): string => {
    const token = readSetting("--token-file", file).trim();
    // The client takes a wrong token for a wrong use that no other try mends, but a file may be just about to be replaced.
    if (!/^[\x21-\x7e]+$/.test(token)) {
      const found = token === "" ? "is empty" : "has other characters, or several words";
      throw new ExitError(exitCodes.config, `--token-file: ${file} ${found}; expected one token in ASCII`);
    }
    return token;
  };
  read();
  const othersRead = 0o004;
  if ((statSync(file).mode & othersRead) !== 0) {
    warn(`--token-file: every user of this machine can read ${file}. Take that right away: chmod o-r`);
  }
  return read;
}

function listOf(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

function given(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
