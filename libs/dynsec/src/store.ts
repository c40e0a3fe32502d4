// The folder behind an engine:
//   dynamic-security.json     Mosquitto's file, as of the journal's beginning
//   revoked-serials           hex, one a line; grows only
//   journal-<change>.log      what came after that change
// A snapshot is written beside the running broker, in slices (never more than a few hundred clients at a time between two turns
// of the loop), when the journal has outgrown it, and at close. It may catch changes half done; it is put in place only when the
// journal with their whole records is durable, and the journal is always read on top of it. So every moment is a good one to die.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, syncFolder } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import { isFields } from './fields.ts';
import { openJournal, readJournal, type Journal } from './journal.ts';
import { applyRecord, createRecord } from './record.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { DynsecState } from './state.ts';
import type { Turns } from './turns.ts';

const stateFile = 'dynamic-security.json';
const serialsFile = 'revoked-serials';
const journalForm = /^journal-(\d{1,16})\.log$/;
/** A journal smaller than this is quicker read than a snapshot is written. */
const smallJournalBytes = 8 * 1024 * 1024;
const serialsPerSlice = 5000;

export type Log = (level: 'info' | 'warn' | 'error', message: string) => void;

export class DynsecStore {
  readonly state: DynsecState;
  readonly #folder: string;
  readonly #turns: Turns;
  readonly #log: Log;
  #journal: Journal;
  /** The change after which the journal begins. */
  #journalStart: number;
  #snapshotBytes: number;
  #compaction: Promise<void> | undefined;

  private constructor(
    surroundings: { readonly folder: string; readonly turns: Turns; readonly log: Log },
    loaded: {
      readonly state: DynsecState;
      readonly journal: Journal;
      readonly journalStart: number;
      readonly snapshotBytes: number;
    },
  ) {
    this.#folder = surroundings.folder;
    this.#turns = surroundings.turns;
    this.#log = surroundings.log;
    this.state = loaded.state;
    this.#journal = loaded.journal;
    this.#journalStart = loaded.journalStart;
    this.#snapshotBytes = loaded.snapshotBytes;
  }

  /**
   * @param options.turns in which the state is changed: a compaction takes one, shortly, to let a new journal follow
   * @throws {KeylineError} FILE_UNREADABLE
   */
  static async open(options: {
    readonly folder: string;
    readonly turns: Turns;
    readonly log: Log;
  }): Promise<DynsecStore> {
    const { folder, log } = options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      if (name.endsWith('.new')) await rm(join(folder, name), { force: true });
    }
    const { state, mark, sizeBytes } = await loadState(join(folder, stateFile));
    await loadSerials(join(folder, serialsFile), state, mark?.revokedSerials ?? 0);
    state.recordIndex = mark?.changeIndex ?? 0;
    const isForeign = mark === undefined && sizeBytes > 0;
    if (mark !== undefined) await assertJournalIsThere(folder, mark.changeIndex);
    const { journalStart, goesOnAt } = await replayJournals(folder, state, { isForeign, log });
    state.takeTouched();
    const journal = await openJournal(journalPath(folder, journalStart), goesOnAt);
    await syncFolder(folder);
    const loaded = { state, journal, journalStart, snapshotBytes: sizeBytes };
    const store = new DynsecStore(options, loaded);
    // Mosquitto's own file becomes ours before anything is built on it.
    if (isForeign) await store.#writeSnapshot(0);
    return store;
  }

  /** Takes what was touched since the last time into the journal; resolves when that and all before is durable. */
  async save(): Promise<void> {
    const touched = this.state.takeTouched();
    if (touched.isEmpty) return this.#journal.flush();
    this.state.recordIndex += 1;
    await this.#journal.append(JSON.stringify(createRecord(this.state, touched)));
    if (this.#journal.sizeBytes > Math.max(smallJournalBytes, 2 * this.#snapshotBytes)) {
      this.compact().catch((error: unknown) => {
        this.#log('error', `The broker's journal could not be compacted: ${messageOf(error)}`);
      });
    }
  }

  /** Writes what an earlier failure left unwritten, if there was one. @throws {KeylineError} INTERNAL */
  async retry(): Promise<void> {
    if (this.#journal.isBehind) await this.#journal.flush();
  }

  /** Brings the snapshot up to date and ends the old journal. Not within a turn. */
  compact(): Promise<void> {
    this.#compaction ??= this.#compact().finally(() => (this.#compaction = undefined));
    return this.#compaction;
  }

  /** When no turn is taken any more. */
  async close(): Promise<void> {
    await this.#compaction?.catch(() => undefined); // logged where it was begun
    try {
      await this.#journal.flush();
      if (this.#journal.sizeBytes > 0) await this.compact();
    } finally {
      await this.#journal.close();
    }
  }

  async #compact(): Promise<void> {
    const began = performance.now();
    const start = await this.#turns.take(() => this.#turnOver());
    await this.#writeSnapshot(start);
    for (const [path, journal] of await listJournals(this.#folder)) {
      if (journal < start) await rm(path, { force: true });
    }
    this.#log(
      'info',
      `The broker's rights were written to ${stateFile}: ${this.state.clients.size} clients in ${Math.round(performance.now() - began)} ms.`,
    );
  }

  /** Lets a new journal follow on the old one. @returns the change after which it begins */
  async #turnOver(): Promise<number> {
    const start = this.state.recordIndex;
    const old = this.#journal;
    await old.flush();
    if (start === this.#journalStart) return start;
    const next = await openJournal(journalPath(this.#folder, start), 0);
    await syncFolder(this.#folder);
    this.#journal = next;
    this.#journalStart = start;
    await old.close();
    return start;
  }

  async #writeSnapshot(changeIndex: number): Promise<void> {
    const serials = { count: 0 };
    await this.#replace(serialsFile, writeSerials(this.state, serials));
    const mark = { changeIndex, revokedSerials: serials.count };
    this.#snapshotBytes = await this.#replace(stateFile, writeSnapshot(this.state, mark));
  }

  /** In place of the old file, once all changes it may have caught are durable in the journal. */
  async #replace(name: string, slices: Iterable<string>): Promise<number> {
    const path = join(this.#folder, name);
    return replaceFile(path, slices, {
      beside: `${path}.new`,
      before: () => this.#journal.flush(),
    });
  }
}

function* writeSerials(state: DynsecState, written: { count: number }): Generator<string> {
  let slice: string[] = [];
  for (const serial of state.revokedSerials()) {
    slice.push(`${serial}\n`);
    written.count += 1;
    if (slice.length < serialsPerSlice) continue;
    yield slice.join('');
    slice = [];
  }
  yield slice.join('');
}

/** By the change they begin after. */
async function listJournals(folder: string): Promise<(readonly [path: string, start: number])[]> {
  return (await readdir(folder))
    .flatMap((name) => {
      const start = journalForm.exec(name)?.[1];
      return start === undefined ? [] : [[join(folder, name), Number(start)] as const];
    })
    .sort(([, a], [, b]) => a - b);
}

/** @returns where the last journal begins and where it is to be gone on with */
async function replayJournals(
  folder: string,
  state: DynsecState,
  { isForeign, log }: { readonly isForeign: boolean; readonly log: Log },
): Promise<{ readonly journalStart: number; readonly goesOnAt: number }> {
  const journals = await listJournals(folder);
  let last = { journalStart: state.recordIndex, goesOnAt: 0 };
  for (const [path, journalStart] of journals) {
    const { records, sizeBytes, torn } = await readJournal(path);
    if (torn && path !== journals.at(-1)?.[0]) throw damaged(path, 'it ends within a line');
    if (torn) {
      log('warn', `A change in ${path} was cut short by a crash; it had not been acknowledged.`);
    }
    if (isForeign) {
      if (records.length > 0) {
        throw damaged(
          path,
          `the ${stateFile} beside it was put there, or written by Mosquitto, since. Move the journals away to begin with that file, or that file to go on`,
        );
      }
      await rm(path);
      continue;
    }
    if (journalStart > state.recordIndex) {
      throw damaged(path, `changes ${state.recordIndex + 1} to ${journalStart} are missing`);
    }
    replay(state, records, path);
    last = { journalStart, goesOnAt: sizeBytes };
  }
  return last;
}

/** It is made before the state file that it follows on, and goes with it alone: without it, what was changed since would be undone. */
async function assertJournalIsThere(folder: string, changeIndex: number): Promise<void> {
  const journals = await listJournals(folder);
  if (journals.some(([, start]) => start === changeIndex)) return;
  throw damaged(
    journalPath(folder, changeIndex),
    `it is missing, and what was changed since ${stateFile} was written, revocations among it, would be undone`,
  );
}

const journalPath = (folder: string, start: number): string =>
  join(folder, `journal-${String(start).padStart(16, '0')}.log`);

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new KeylineError('FILE_UNREADABLE', `${path} can't be read (${messageOf(error)}).`, {
      cause: error,
    });
  }
}

async function loadState(
  path: string,
): Promise<NonNullable<ReturnType<typeof readSnapshot>> & { readonly sizeBytes: number }> {
  const text = await readIfThere(path);
  if (text === undefined) return { state: new DynsecState(), mark: undefined, sizeBytes: 0 };
  const read = readSnapshot(text);
  if (read === undefined) throw damaged(path, "it is not Mosquitto's JSON");
  return { ...read, sizeBytes: text.length };
}

async function loadSerials(path: string, state: DynsecState, atLeast: number): Promise<void> {
  for (const serial of (await readIfThere(path))?.split('\n') ?? []) {
    if (serial === '') continue;
    if (!/^(?:[0-9a-f]{2}){1,20}$/.test(serial)) throw damaged(path, `"${serial}" is no serial`);
    state.revoke(serial);
  }
  if (state.revokedCount < atLeast) {
    throw damaged(
      path,
      `it has ${state.revokedCount} of ${atLeast} revoked serials. Without the rest revoked devices would come back`,
    );
  }
}

function replay(state: DynsecState, records: readonly unknown[], path: string): void {
  for (const record of records) {
    if (!isFields(record) || typeof record['n'] !== 'number') {
      throw damaged(path, 'it has a record that is none');
    }
    const { n } = record;
    if (n <= state.recordIndex) continue; // in the snapshot already
    if (n !== state.recordIndex + 1) {
      throw damaged(path, `changes ${state.recordIndex + 1} to ${n - 1} are missing`);
    }
    applyRecord(state, record);
    state.recordIndex = n;
  }
}

function damaged(path: string, what: string): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `The broker's state ${path} can't be used: ${what}. Bring the folder back from a backup, or begin with an empty one and let Keyline push the fleet again.`,
    { context: { path } },
  );
}
