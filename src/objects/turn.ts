/**
 * Owns: a full turn of the event loop, as cheaply as workerd gives one: a message to oneself takes
 * microseconds where a timer takes a millisecond.
 * Does not own: when one is needed.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port2.onmessage = () => {
      port1.close();
      resolve();
    };
    port1.postMessage(null);
  });
}
