/** By what a certificate names its owner: `URI:`, `DNS:` or `email:`, and the name. */
export type CertificateName = string & { readonly __brand: "CertificateName" };

function certificateName(kind: string, name: string): CertificateName {
  return `${kind}:${kind === "DNS" ? name.toLowerCase() : name}` as CertificateName;
}

/**
 * Reads a subject alternative name as people write it. Its kind is what it looks like, unless it begins with `URI:`, `DNS:`
 * or `email:`. So a name of one kind never stands for one of another.
 *
 * @returns undefined if it can be none
 */
export function readCertificateName(text: string): CertificateName | undefined {
  const { kind, name = "" } = /^(?:(?<kind>URI|DNS|email):)?(?<name>.*)$/.exec(text)?.groups ?? {};
  if (!/^[\x21-\x7e]+$/.test(name)) {
    return undefined;
  }
  if (kind !== undefined) {
    return certificateName(kind, name);
  }
  if (/^[A-Za-z][\w+.-]*:/.test(name)) {
    return certificateName("URI", name);
  }
  return certificateName(name.includes("@") ? "email" : "DNS", name);
}

/**
 * The names in a text that Node makes of a certificate, such as `DNS:a.example, URI:spiffe://corp/a`. Node writes a name
 * with unusual characters as a JSON string, so that no name can look like two.
 */
export function certificateNames(subjectAltName: string): CertificateName[] {
  const names: CertificateName[] = [];
  const entry = /(?<kind>[^:,]+):(?<name>"(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  for (let found = entry.exec(subjectAltName); found !== null; found = entry.exec(subjectAltName)) {
    const { kind = "", name = "" } = found.groups ?? {};
    if (["URI", "DNS", "email"].includes(kind)) {
      names.push(certificateName(kind, name.startsWith('"') ? (JSON.parse(name) as string) : name));
    }
    if (entry.lastIndex === subjectAltName.length) {
      break;
    }
  }
  return names;
}
