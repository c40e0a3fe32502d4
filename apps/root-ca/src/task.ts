// What surrounds every command: the folder and its lock, the journal that becomes a line of the transcript, the question before
// something is signed.
import { formatInstant, isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import { withLock } from './lock.ts';
import { folderFiles, OfflineFolder, type FileRecord } from './offline-folder.ts';
import { printableLines } from './print.ts';
import type { Surroundings } from './terminal.ts';
import { appendTranscript } from './transcript.ts';

/** What a command answers: the same facts for a program and for a person. */
export interface Report {
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface Task extends Surroundings {
  readonly folder: OfflineFolder;
  readonly journal: Journal;
  /** Epoch milliseconds: one moment for the whole command. */
  readonly now: number;
}

/** Collects what the transcript will say. */
export class Journal {
  readonly inputs: FileRecord[] = [];
  readonly outputs: FileRecord[] = [];
  readonly facts: Record<string, unknown> = {};
}

export interface TaskOptions {
  readonly dir: string;
  readonly command: string;
  /** As given. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Reads only: needs no lock, and the folder may be on read-only media. */
  readonly readsOnly?: boolean;
}

/** Runs a command and writes it down, whatever came of it. @throws {KeylineError} what the command threw */
export async function runTask(
  surroundings: Surroundings,
  { dir, command, options, readsOnly = false }: TaskOptions,
  work: (task: Task) => Promise<Report>,
): Promise<Report> {
  const folder = new OfflineFolder(dir, surroundings.cwd);
  folder.assertSound();
  // Certificates and CRLs know whole seconds only.
  const now = Math.floor(surroundings.clock.now() / 1000) * 1000;
  const journal = new Journal();
  const task: Task = { ...surroundings, folder, journal, now };
  const writeDown = (result: string): void => {
    // A folder that holds no root is somebody's working directory, named by mistake.
    if (!holdsRoot(folder)) return;
    const { inputs, outputs, facts } = journal;
    appendTranscript(folder, {
      time: formatInstant(now),
      command,
      options,
      inputs,
      outputs,
      result,
      facts,
    });
  };
  let report: Report;
  try {
    report = readsOnly
      ? await work(task)
      : await withLock(folder, surroundings, async () => work(task));
  } catch (error) {
    try {
      writeDown(isKeylineError(error) ? error.code : 'INTERNAL');
    } catch (failure) {
      // The command's own error matters more.
      surroundings.terminal.err(`The transcript can't be written: ${messageOf(failure)}.\n`);
    }
    throw error;
  }
  try {
    writeDown('done');
  } catch (error) {
    if (!readsOnly) {
      throw new KeylineError(
        'FILE_UNREADABLE',
        `"${command}" is done, but ${folderFiles.transcript} can't be written: ${messageOf(error)}. Add the line by hand.`,
        { cause: error },
      );
    }
    surroundings.terminal.err(`The transcript can't be written: ${messageOf(error)}.\n`);
  }
  return report;
}

function holdsRoot(folder: OfflineFolder): boolean {
  const { state, key, transcript } = folderFiles;
  return [state, key, transcript].some((name) => folder.has(name));
}

/**
 * Shows what is about to happen and waits for a "yes".
 * @throws {KeylineError} USAGE when nobody can be asked; FORBIDDEN for any other answer
 */
export async function confirm(
  { terminal }: Pick<Task, 'terminal'>,
  question: { readonly shown: string; readonly ask: string; readonly yes?: boolean | undefined },
): Promise<void> {
  terminal.err(printableLines(question.shown));
  if (question.yes === true) return;
  if (!terminal.interactive) {
    throw new KeylineError(
      'USAGE',
      'There is nobody to ask (no terminal, or standard input holds the passphrase). Add --yes to go on without the question; nothing was done.',
    );
  }
  const answer = await terminal.ask(`${question.ask} Type yes: `);
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new KeylineError('FORBIDDEN', 'Not confirmed; nothing was done.');
}
