// Lines of records with checksums, as journals and snapshots are made of. Bytes in and out: reading and writing files is for others.
export { decodeLine, encodeLine, isTorn, type Line } from './checked-line.ts';
