export {
  readRestoredLists,
  readRestoredMarker,
  restoredListsOf,
  restoredMarkerOf,
  writeRestoredMarker,
  type RestoredMarker,
} from './restored-marker.ts';
