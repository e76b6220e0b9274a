/** A host and a port. */
export interface Address {
  /** A name or an address; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

const pattern = /^(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<host>[^\s:/[\]@]+)):(?<port>\d{1,5})$/;

/** Reads `host:port` or `[ipv6]:port`; undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  const groups = pattern.exec(text)?.groups;
  const host = groups?.ipv6 ?? groups?.host;
  const port = Number(groups?.port);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** Writes an address as {@link parseAddress} reads it. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine reaches what listens on a host, or whether what comes from it comes from this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/.test(host);
}
