"""Can one tell from scores or lists which pairs were forgotten?"""
