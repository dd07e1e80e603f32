/**
 * Owns: telling whoever waits that something happened.
 * Does not own: what happened; a listener looks for itself.
 */
export class Bell {
  #next: PromiseWithResolvers<void> | null = null;

  /** Resolves at the next ring. */
  rung(): Promise<void> {
    this.#next ??= Promise.withResolvers();
    return this.#next.promise;
  }

  ring(): void {
    const next = this.#next;
    this.#next = null;
    next?.resolve();
  }
}
