// Runs one of the examples: `npm run example` the original form, `npm run example several` that of several locks, and so on.
const [name = "lock"] = process.argv.slice(2);
const names = ["lock", "exclusive", "shared", "semaphore", "several", "leader", "inspection"];

if (names.includes(name)) {
  await import(`./${name}-example.js`);
} else {
  console.error(`There is no example ${JSON.stringify(name)}, only ${names.join(", ")}.`);
  process.exitCode = 2;
}
