export {
  createFolder,
  renameDurably,
  removeFile,
  replaceFile,
  replaceFileAtOnce,
  syncFolder,
  writeNewFile,
  type FileContent,
  type FileOwner,
  type WriteOptions,
} from './durable-file.ts';
export { isNodeError } from './node-error.ts';
export {
  readBounded,
  readSecretFile,
  readSecretText,
  readText,
  readTextIfThere,
} from './read-file.ts';
