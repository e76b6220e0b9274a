import { expect, test } from "@jest/globals";
import { checkFile } from "../config/checked-file.js";
import { authSchema } from "./auth-config.js";

const digest = "a".repeat(64);

/** What is wrong with a section. */
function problemsOf(section: object): string[] {
  const checked = checkFile(JSON.stringify(section), authSchema);
  return "problems" in checked ? checked.problems.map(({ path, problem }) => `${path}: ${problem}`) : [];
}

const billing = { name: "billing", tokenSha256: [digest] };
const withRule = (rule: object) => ({ principals: [billing], roles: { billing: [rule] } });

test("what is right is taken", () => {
  const principals = [billing, { name: "ops", certificateSan: "spiffe://corp/ops" }, { name: "guest" }];
  const rules = [
    { prefix: "", allow: ["inspect"] },
    { prefix: "a:", deny: ["lock"] },
    { prefix: "a.%00/", allow: ["lock", "force", "admin"] },
    { exact: "a", allow: ["lock"] },
  ];
  expect(problemsOf({ principals, roles: { billing: rules }, default: "deny", anonymous: "guest" })).toEqual([]);
});

test.each([
  [{ principals: [] }, "principals: expected a length of at least 1; found a list"],
  [
    { principals: [{ name: "billing" }] },
    "principals[0].name: nobody can be billing; give it certificateSan or tokenSha256, or name it as anonymous",
  ],
  [
    { principals: [billing, billing] },
    "principals[1].name: the principal billing is there twice; give it all of its tokens in one place",
  ],
  [
    { principals: [billing, { name: "stock", tokenSha256: [digest] }] },
    "principals[1].name: what proves stock proves another principal, too; give each its own",
  ],
  [
    { principals: [{ name: "billing", tokenSha256: ["secret"] }] },
    "principals[0].tokenSha256[0]: expected the SHA-256 of a token, as 64 digits of 0-9 and a-f; found a value that is not shown",
  ],
  [{ principals: [billing], roles: { bling: [] } }, "roles.bling: expected one of the principals: billing"],
  [
    { principals: [{ name: "__proto__", tokenSha256: [digest] }] },
    'principals[0].name: expected 1 to 64 letters, digits and _ . @ -, and not __proto__; found "__proto__"',
  ],
  [{ principals: [billing], anonymous: "guest" }, "anonymous: expected one of the principals: billing"],
  [
    withRule({ prefix: "orders", allow: ["lock"] }),
    "roles.billing[0].prefix: expected an end of / or : or . so that a prefix never ends within a word, or nothing, which all " +
      "names begin with",
  ],
  [
    withRule({ exact: "100%", allow: ["lock"] }),
    "roles.billing[0].exact: expected % and two hexadecimal digits for a byte, and %25 for the percent sign itself",
  ],
  [withRule({ allow: ["lock"] }), "roles.billing[0]: expected either prefix or exact"],
  [withRule({ exact: "a", prefix: "a/", allow: ["lock"] }), "roles.billing[0]: expected either prefix or exact"],
  [withRule({ exact: "a" }), "roles.billing[0]: expected allow, deny, or both"],
  [
    withRule({ exact: "a", allow: ["write"] }),
    'roles.billing[0].allow[0]: expected one of lock, inspect, force, admin; found "write"',
  ],
  [
    withRule({ exact: "a", alow: ["lock"] }),
    'roles.billing[0].alow: unknown key "alow"; the nearest known key is "allow"',
  ],
])("%j is refused", (section, problem) => {
  expect(problemsOf(section)).toContain(problem);
});
