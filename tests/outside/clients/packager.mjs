// Runs Shaka Packager, as it is, with the arguments of this script.
import "shaka-packager";
