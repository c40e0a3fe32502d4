export {
  createFolder,
  removeFile,
  removeUnfinished,
  renameDurably,
  replaceFile,
  replaceFileAtOnce,
  syncFolder,
  writeNewFile,
} from './durable-file.ts';
export { isNodeError } from './node-error.ts';
export {
  readBounded,
  readSecretFile,
  readSecretText,
  readText,
  readTextIfThere,
} from './read-file.ts';
