/**
 * Owns: full turns of the event loop, as cheaply as workerd gives them: a message to oneself takes
 * microseconds where a timer takes a millisecond, and one channel for many turns a fraction of one each.
 * Does not own: when a turn is needed.
 *
 * Each run has its own: what is opened by one object must not be used by another.
 */
export class Turns {
  #channel: MessageChannel | null = null;
  #waiting: (() => void)[] = [];

  /** Resolves after every microtask that is ready now, and those they lead to, has run. */
  next(): Promise<void> {
    this.#channel ??= this.#open();
    const { port1 } = this.#channel;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      port1.postMessage(null);
    });
  }

  /** Lets go of the channel, which would keep the object awake; the next turn opens another. */
  rest(): void {
    if (this.#waiting.length > 0) return;
    this.#channel?.port1.close();
    this.#channel = null;
  }

  #open(): MessageChannel {
    const channel = new MessageChannel();
    channel.port2.onmessage = () => this.#waiting.shift()?.();
    return channel;
  }
}
