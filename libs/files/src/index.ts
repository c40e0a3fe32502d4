export {
  createFolder,
  removeFile,
  renameDurably,
  replaceFile,
  replaceFileAtOnce,
  syncFolder,
  writeNewFile,
} from './durable-file.ts';
export { writeNewFolder, type NewFile } from './new-folder.ts';
export { isNodeError } from './node-error.ts';
export {
  readBounded,
  readSecretFile,
  readSecretText,
  readText,
  readTextIfThere,
} from './read-file.ts';
export { removeUnfinished } from './unfinished.ts';
