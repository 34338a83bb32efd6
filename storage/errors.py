"""What can go wrong in a store. Knows no protocol; each door translates once."""


class StoreError(Exception):
    """Base of every error that a store raises on purpose."""


class InvalidKey(StoreError):
    """The key is not a safe relative path of the accepted characters (a programming error, or an attack)."""


class InvalidStoreUrl(StoreError):
    """The store URL cannot be understood."""


class ObjectNotFound(StoreError):
    """No object has this key."""


class ObjectExists(StoreError):
    """Another content already has this key. The stored object is untouched."""


class StoreFull(StoreError):
    """No space, or the quota is used up. The same request may succeed later."""


class StoreUnavailable(StoreError):
    """The store does not answer, or failed to make the object durable. The same request may succeed later."""


class WrongStore(StoreUnavailable):
    """It is not the store that was expected: its disk is not mounted, or the settings name another one."""


class DamagedIdentity(WrongStore):
    """What should tell which store it is cannot be understood."""


class DamagedObject(StoreError):
    """The bytes are not those that were committed."""
