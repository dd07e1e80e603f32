import { testJournal } from "./journal-suite.ts";
import { MemoryJournal } from "./memory.ts";

testJournal("memory", async (act) => {
  let journal = new MemoryJournal();
  await act(journal, () => (journal = journal.copy()));
});
