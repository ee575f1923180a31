package scan_test

import "slices"

// worlds lists every world, area by area.
func worlds() []world {
	return slices.Concat(networkWorlds(), hbaWorlds(), rightsWorlds(), settingWorlds(), hostWorlds(), declaredWorlds(), outsideWorlds(), ownWorlds())
}
