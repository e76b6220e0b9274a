import { expect, test } from "@jest/globals";
import { certificateNames, readCertificateName } from "./certificate-names.js";

test.each([
  ["spiffe://corp/billing", "URI:spiffe://corp/billing"],
  ["urn:corp:billing", "URI:urn:corp:billing"],
  ["Billing.Example", "DNS:billing.example"],
  ["ops@corp.example", "email:ops@corp.example"],
  ["DNS:ops@corp.example", "DNS:ops@corp.example"],
  ["URI:billing.example", "URI:billing.example"],
])("%s is %s", (text, name) => {
  expect(readCertificateName(text)).toBe(name);
});

test.each(["", "DNS:", "two words", "é.example"])("%j is none", (text) => {
  expect(readCertificateName(text)).toBeUndefined();
});

test.each([
  ["", []],
  ["URI:spiffe://corp/billing", ["URI:spiffe://corp/billing"]],
  ["DNS:A.example, IP Address:10.0.0.1, email:ops@corp.example", ["DNS:a.example", "email:ops@corp.example"]],
  // A name that looks like two, which Node quotes.
  [
    'URI:"spiffe://corp/a, URI:spiffe://corp/b", DNS:c.example',
    ["URI:spiffe://corp/a, URI:spiffe://corp/b", "DNS:c.example"],
  ],
  ['DNS:"a\\"b.example"', ['DNS:a"b.example']],
  ["othername:<unsupported>, DNS:a.example", ["DNS:a.example"]],
  ["Registered ID:1.2.3.4, URI:x:y", ["URI:x:y"]],
])("%s has the names %j", (text, names) => {
  expect(certificateNames(text)).toEqual(names);
});
