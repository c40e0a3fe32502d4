// What was done with the root, one JSON line per command, appended durably. It is a record, not a proof: nothing signs it yet.
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { FileRecord, OfflineFolder } from './offline-folder.ts';
import { folderFiles } from './offline-folder.ts';

export interface TranscriptEntry {
  /** RFC 3339 UTC. */
  readonly time: string;
  readonly command: string;
  /** As given; files by name, never a passphrase. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly inputs: readonly FileRecord[];
  readonly outputs: readonly FileRecord[];
  /** `done`, or the code of the error that ended the command. */
  readonly result: string;
  /** What else a reader wants to know: a serial, a CRL number. */
  readonly facts?: Readonly<Record<string, unknown>> | undefined;
}

export function appendTranscript(folder: OfflineFolder, entry: TranscriptEntry): void {
  const file = openSync(folder.own(folderFiles.transcript), 'as+', 0o600);
  try {
    // A line that a crash cut off must not swallow this one.
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    const cutOff = size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
    writeSync(file, `${cutOff ? '\n' : ''}${JSON.stringify(entry)}\n`);
  } finally {
    closeSync(file);
  }
}
