/**
 * Collections that most runs leave empty. While one is empty it is the same object in all runs, because each of its own
 * takes a hundred bytes for as long as the run is in memory; what puts something in puts it into one of the run's own.
 */

class EmptySet extends Set<never> {
  override add(): never {
    throw new Error("the empty set is that of all runs");
  }
}

class EmptyMap extends Map<never, never> {
  override set(): never {
    throw new Error("the empty map is that of all runs");
  }
}

export const emptySet: Set<never> = new EmptySet();
export const emptyMap: Map<never, never> = new EmptyMap();

/** The set with the item in it, to be kept in place of the set. */
export function added<Item>(set: Set<Item>, item: Item): Set<Item> {
  return set === emptySet ? new Set([item]) : set.add(item);
}

/** The map with the value in it, to be kept in place of the map. */
export function put<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): Map<Key, Value> {
  return map === emptyMap ? new Map([[key, value]]) : map.set(key, value);
}
