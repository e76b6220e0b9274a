/** The items of each lock, in their order. */
export function byLock<Item extends { readonly lock: string }>(items: Iterable<Item>): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(item.lock);
    if (group === undefined) {
      groups.set(item.lock, [item]);
    } else {
      group.push(item);
    }
  }
  return groups;
}
