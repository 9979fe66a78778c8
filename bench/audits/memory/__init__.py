"""What does an unlearned model still hold, beyond its scores?"""
