import { get } from "node:http";
import { text } from "node:stream/consumers";

/** What a GET of a probe is answered with. */
export interface ProbeAnswer {
  readonly status: number | undefined;
  readonly text: string;
}

/** Asks for a page on a connection of its own. */
export async function probe(url: string): Promise<ProbeAnswer> {
  // Not fetch, whose pool keeps connections that a leak check would find.
  return await new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      text(response).then((body) => {
        resolve({ status: response.statusCode, text: body });
      }, reject);
    }).on("error", reject);
  });
}
