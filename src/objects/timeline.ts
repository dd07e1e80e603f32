/**
 * Owns: asking a run's object for its timeline.
 * Does not own: anything yet.
 */
export function readTimeline(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
export function readStory(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
