/**
 * Owns: telling whoever waits that something happened.
 * Does not own: what happened; a listener looks for itself.
 */
export class Bell {
  #ringing: Promise<void> | null = null;
  #release: (() => void) | null = null;

  /** Resolves at the next ring. */
  heard(): Promise<void> {
    this.#ringing ??= new Promise((resolve) => {
      this.#release = resolve;
    });
    return this.#ringing;
  }

  ring(): void {
    const release = this.#release;
    this.#ringing = null;
    this.#release = null;
    release?.();
  }
}
