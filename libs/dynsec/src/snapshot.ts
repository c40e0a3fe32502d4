// The whole state in Mosquitto's own file, written in slices so that a broker of any size goes on meanwhile, and read at start.
import {
  describeGroup,
  describeRole,
  listMembers,
  loadClient,
  loadDefaults,
  loadGroup,
  loadMembers,
  loadRole,
  loadUses,
  readEntries,
  storeClient,
} from './documents.ts';
import { isFields, readField, readInteger, readText, type Fields } from './fields.ts';
import { DynsecState } from './state.ts';

const clientsPerSlice = 200;

/** Mosquitto passes over members it does not know. */
export interface SnapshotMark {
  /** Records of the journal up to this one are in the file. The name is that of earlier versions. */
  readonly changeIndex: number;
  readonly revokedSerials: number;
}

/**
 * The document in slices. The state may change between two of them: the journal from `mark` on puts that right when both are read.
 * Clients in reverse: Mosquitto sorts them into lists as they come, and takes 10 s for 50,000 in order, 0.1 s in reverse.
 */
export function* writeSnapshot(
  state: DynsecState,
  mark: SnapshotMark | undefined,
): Generator<string> {
  const { defaults } = state;
  yield `{${mark === undefined ? '' : `"keyline":${JSON.stringify(mark)},\n`}"changeIndex":${String(state.changeIndex)},\n"defaultACLAccess":${JSON.stringify(defaults)}`;
  if (mark !== undefined && state.uses.size > 0) {
    yield ',\n"uses":[';
    yield* writeList([...state.uses.keys()], (username) => ({
      username,
      ...state.uses.get(username),
    }));
    yield ']';
  }
  yield ',\n"clients":[';
  const names = state.clientNames.all();
  let slice: string[] = [];
  let first = true;
  for (let at = names.length - 1; at >= 0; at -= 1) {
    const client = state.clients.get(names[at] ?? '');
    if (client !== undefined) slice.push(JSON.stringify(storeClient(client)));
    if (slice.length < clientsPerSlice && at > 0) continue;
    if (slice.length > 0) yield `${first ? '\n' : ',\n'}${slice.join(',\n')}`;
    first = first && slice.length === 0;
    slice = [];
  }
  yield '],\n"groups":[';
  yield* writeList(state.groupNames.all(), (name) => {
    const group = state.groups.get(name);
    return group && { ...describeGroup(group), clients: listMembers(group) };
  });
  yield '],\n"roles":[';
  yield* writeList(state.roleNames.all(), (name) => {
    const role = state.roles.get(name);
    return role && describeRole(role);
  });
  const anonymous = state.anonymousGroup;
  yield `]${anonymous === undefined ? '' : `,\n"anonymousGroup":${JSON.stringify(anonymous.name)}`}}\n`;
}

function* writeList(
  names: readonly string[],
  describe: (name: string) => object | undefined,
): Generator<string> {
  let first = true;
  for (const name of names) {
    const document = describe(name);
    if (document === undefined) continue;
    yield `${first ? '\n' : ',\n'}${JSON.stringify(document)}`;
    first = false;
  }
}

/** Mosquitto's file, ours or its own. @returns undefined when it is none */
export function readSnapshot(
  text: string,
): { readonly state: DynsecState; readonly mark: SnapshotMark | undefined } | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined; // the caller says which file
  }
  if (!isFields(document)) return undefined;
  const state = new DynsecState();
  const defaults = readField(document, 'defaultACLAccess');
  loadDefaults(state, isFields(defaults) ? defaults : {});
  loadOnce(state.roles, document, 'roles', 'rolename', (role) => loadRole(state, role));
  loadOnce(state.clients, document, 'clients', 'username', (client) => loadClient(state, client));
  loadOnce(state.groups, document, 'groups', 'groupname', (group) => {
    loadGroup(state, group);
    loadMembers(state, group);
  });
  loadUses(state, document);
  state.anonymousGroup = state.groups.get(readText(document, 'anonymousGroup') ?? '');
  const mark = readField(document, 'keyline');
  // Earlier versions kept theirs, of payloads, in the mark alone.
  state.changeIndex = Math.max(
    readWhole(document, 'changeIndex'),
    isFields(mark) ? readWhole(mark, 'changeIndex') : 0,
  );
  state.takeTouched();
  return {
    state,
    mark: isFields(mark)
      ? {
          changeIndex: readWhole(mark, 'changeIndex'),
          revokedSerials: readInteger(mark, 'revokedSerials', 0),
        }
      : undefined,
  };
}

const readWhole = (fields: Fields, name: string): number => {
  const value = readField(fields, name);
  return Number.isSafeInteger(value) ? (value as number) : 0;
};

/** Of two with one name Mosquitto takes the first. */
function loadOnce(
  kinds: ReadonlyMap<string, unknown>,
  document: Fields,
  list: string,
  nameField: string,
  load: (entry: Fields) => void,
): void {
  for (const entry of readEntries(document, list)) {
    if (!kinds.has(readText(entry, nameField) ?? '')) load(entry);
  }
}
