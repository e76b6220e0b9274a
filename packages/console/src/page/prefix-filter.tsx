import { useEffect, useState } from "preact/hooks";

/** How long after the last key the filter is used, in milliseconds. */
const restMs = 250;

/** A field for what the names of the locks begin with. */
export function PrefixFilter({ changed }: { readonly changed: (prefix: string) => void }) {
  const [prefix, setPrefix] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => {
      changed(prefix);
    }, restMs);
    return () => {
      clearTimeout(timer);
    };
  }, [prefix]);
  return (
    <label class="filter">
      Names that begin with
      <input
        type="search"
        spellcheck={false}
        autocomplete="off"
        placeholder="orders/"
        value={prefix}
        onInput={({ currentTarget }) => {
          setPrefix(currentTarget.value);
        }}
      />
    </label>
  );
}
