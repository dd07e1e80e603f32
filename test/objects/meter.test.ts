/** What it takes to say what a run takes. */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { noUsage } from "../../src/core/run/usage.ts";
import { encode } from "../../src/core/value/value.ts";
import { Meter } from "../../src/objects/meter.ts";

function asked(): { readonly meter: Meter; readonly times: () => number } {
  let times = 0;
  const meter = new Meter(() => {
    times++;
    return 4096 * times;
  });
  meter.open(noUsage);
  return { meter, times: () => times };
}

const ended: Entry = { seq: 3, at: 5, kind: "run.completed", output: encode(null, "the output") };

describe("the meter of a run", () => {
  test("asks the storage for its size once until a page may have been written, however often it is looked at", () => {
    const { meter, times } = asked();
    const sizes = [meter.usage, meter.usage, meter.usage].map(({ bytesStored }) => bytesStored);
    expect([sizes, times()]).toEqual([[4096, 4096, 4096], 1]);
    meter.reported(1);
    meter.called();
    expect([meter.usage.bytesStored, times()]).toEqual([4096, 1]);
    meter.wrote(1, 300);
    expect([meter.usage.bytesStored, times()]).toEqual([4096, 1]);
    for (let commit = 0; commit < 8; commit++) meter.wrote(1, 300);
    expect([meter.usage.bytesStored, meter.usage.bytesStored, times()]).toEqual([8192, 8192, 2]);
  });

  test("counts the first pages of a run that began in this memory, and asks once they may be full", () => {
    const { meter, times } = asked();
    // The table and a first row; then short ones, up to a page of them.
    meter.wrote(1, 8192 + 500);
    meter.begin();
    for (let commit = 0; commit < 8; commit++) {
      expect([meter.usage.bytesStored, times()]).toEqual([12_288, 0]);
      meter.wrote(1, 350);
    }
    meter.wrote(1, 350);
    expect([meter.usage.bytesStored, times()]).toEqual([4096, 1]);
  });

  test("has the size on record with an end, as the storage says it then", () => {
    const { meter, times } = asked();
    expect(meter.usage.bytesStored).toBe(4096);
    meter.wrote(2, 4000);
    expect(meter.record([ended])).toMatchObject({ bytesStored: 8192 });
    expect(times()).toBe(2);
  });
});
