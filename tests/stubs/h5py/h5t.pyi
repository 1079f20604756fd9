ENUM: int
FLOAT: int
INTEGER: int

class TypeID:
    def get_class(self) -> int: ...
