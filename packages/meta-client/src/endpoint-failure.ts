/**
 * An endpoint could not serve a call, but another one may. Internal: calls are repeated until they succeed or end in an
 * `UnavailableError` that names every endpoint's failure.
 */
export class EndpointFailure extends Error {
  override readonly name = "EndpointFailure";
  readonly endpoint: string;
  /** Whether the request may have reached the server, and so may have taken effect. */
  readonly maybeApplied: boolean;
  /** When the server that had the request last gave a sign of life, in milliseconds; undefined if that is not known. */
  readonly heardAtMs: number | undefined;

  constructor(
    endpoint: string,
    why: string,
    maybeApplied: boolean,
    options: ErrorOptions & { readonly heardAtMs?: number | undefined } = {},
  ) {
    super(why, options);
    this.heardAtMs = options.heardAtMs;
    this.endpoint = endpoint;
    this.maybeApplied = maybeApplied;
  }
}
